"""The machines of the Vagrant lab, seen from the host: nothing but ssh, and of Python only what comes with it."""
