"""`python -m gateway` is `sipmasq`."""

from gateway.cli import main

main()
