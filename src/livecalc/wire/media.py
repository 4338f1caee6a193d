"""Media types of bodies that are not JSON, and the names people give to the forms of a result."""

JSON = "application/json"
EVENTS = "text/event-stream"
LINES = "application/x-ndjson"
"""One JSON value on each line."""
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
BUNDLE = "application/zip"
ARROW = "application/vnd.apache.arrow.stream"
"""Arrow's IPC stream, as IANA registers it."""
PARQUET = "application/vnd.apache.parquet"
CSV = "text/csv"

RESULT_FORMATS = {"json": JSON, "arrow": ARROW, "parquet": PARQUET, "csv": CSV}
"""What `Accept` a form of a result is asked for with; `json` is the summary, the others are the arrays."""

SCENARIO_COLUMN = "scenario"
"""The first column of a result's table: scenario numbers from 0."""
SHAPES_KEY = "livecalc.shapes"
"""In the metadata of Arrow and Parquet: `{output: shape}` as JSON; axis 0 is scenarios."""
