"""Exits with 0 if the service answers."""

import sys
from urllib.request import urlopen

with urlopen("http://127.0.0.1:8000/health", timeout=2) as answer:
    sys.exit(answer.status != 200)
