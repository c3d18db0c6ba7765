"""Write the tables of options into the pages, from the settings and docs/options.zh.json5."""

from dataclasses import dataclass
from pathlib import Path

from data_utils.settings import option
from model_utils.options import parse, run_command


@dataclass(frozen=True)
class DocumentSettings:
    """Where the pages are."""

    docs_dir: str = option("./docs", "folder of the pages and of options.zh.json5")


def main() -> None:
    """Write the tables and name the pages."""
    settings = parse("document_options.py", [DocumentSettings], description=__doc__)[
        DocumentSettings
    ]

    from reports.options import document_options

    for path in document_options(Path(settings.docs_dir)):
        print(f"written: {path}")


if __name__ == "__main__":
    run_command(main)
