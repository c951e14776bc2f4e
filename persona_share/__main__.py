"""``python -m persona_share`` is the command ``persona-share``."""

from persona_share.cli import main


if __name__ == "__main__":
    main()
