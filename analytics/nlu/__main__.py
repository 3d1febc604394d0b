"""`python -m analytics.nlu TRANSCRIPT.json [--config YAML]`: print what understanding says of a stored transcript."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import yaml

from analytics.nlu.understand import understand


def main(argv: list[str] | None = None) -> int:
    """Return 0 after printing the document, 2 with a message on bad input."""
    parser = argparse.ArgumentParser(prog="python -m analytics.nlu", description=__doc__)
    parser.add_argument("transcript", type=Path, help="transcript JSON as the speech side writes it, '-' for stdin")
    parser.add_argument(
        "--config", type=Path, help="YAML with intents, rules, models_dir, sentiment_model, intent_model"
    )
    parser.add_argument("--models-dir", help="folder of models (default: MODELS_DIR or var/models)")
    args = parser.parse_args(argv)
    try:
        text = sys.stdin.read() if str(args.transcript) == "-" else args.transcript.read_text(encoding="utf-8")
        config = yaml.safe_load(args.config.read_text(encoding="utf-8")) if args.config else {}
        if not isinstance(config, dict):
            raise ValueError("the configuration must be a mapping")
        if args.models_dir:
            config["models_dir"] = args.models_dir
        document = understand(json.loads(text), config)
    except (OSError, ValueError, yaml.YAMLError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(document, indent=2, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
