"""``python -m podkeeper``."""

from podkeeper.cli.main import main

main()
