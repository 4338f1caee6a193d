"""Strings that break programs that trust them."""

NUL, ESC, BELL = "\x00", "\x1b", "\x07"
DRIVES_TERMINAL = (
    f"{ESC}[2J{ESC}[31mred",
    f"{ESC}]0;owned{BELL}",
    "\x9b31mc1",
    "back\b\b\b\bspace",
    "line\rover",
    "\u202egnp.exe",
    "zero\u200bwidth",
)
"""What must not reach a terminal as it is."""
UNPRINTABLE = (NUL, f"a{NUL}b", "a\nb", "a\r\nb", "\t", "\ufeff", *DRIVES_TERMINAL)
SURROGATES = ("\ud800", "a\udcff")
"""No text at all: what Python makes of bytes that are no UTF-8, and what JSON can smuggle in."""
PATHS = ("..", ".", "../x", "a/../b", "/etc/passwd", "%2e%2e", "%2e%2e%2f", "%00", "C:\\x", "~", "~root", "a//b", "a/")
CODE = (
    "'; DROP TABLE namespaces;--",
    "$(touch owned)",
    "`touch owned`",
    "a;touch owned",
    "| touch owned",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "%s%n",
)
LOOKS = (
    "-a",
    "a-",
    "--",
    "--help",
    "-x",
    "a--b-",
    "UPPER",
    "\uff41",
    "\u2178",
    "\u00e9",
    "e\u0301",
    "\u0639\u0631\u0628\u0649",
    "\U0001f600",
)
SPACES = (" ", "  a", "a ", "a b")
LONG = ("x" * 48, "x" * 64, "x" * 1025, "\u00e9" * 2000)
RESERVED = ("mttc-abc", "mttc-00000000000000000000")

NO_BUCKET_IDS = (*UNPRINTABLE, *PATHS, *CODE, *LOOKS, *SPACES, *LONG, *RESERVED)
"""All of them are text, and none is a bucket id."""
BUCKET_IDS = ("0", "1e3", "null", "a--b", "x" * 47, "livecalc-bucket-x")
"""Odd, and good."""
