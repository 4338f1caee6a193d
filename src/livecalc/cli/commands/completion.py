"""`livecalc completion`: what a shell needs to complete commands and options."""

import click

from livecalc.cli.lazy import Command
from livecalc.cli.output import emit

EXAMPLE = """
livecalc completion bash > ~/.local/share/bash-completion/completions/livecalc
livecalc completion zsh > ~/.zfunc/_livecalc
livecalc completion fish > ~/.config/fish/completions/livecalc.fish
"""


@click.command("completion", cls=Command, example=EXAMPLE)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell.

    Put it where the shell looks for completions, as the examples do, and open a new shell.
    """
    from click.shell_completion import get_completion_class

    from livecalc.cli.root import root

    script = get_completion_class(shell)
    if script is None:
        raise click.UsageError(f"no completion for {shell}")
    emit(script(root, {}, "livecalc", "_LIVECALC_COMPLETE").source())
