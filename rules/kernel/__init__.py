"""The only door to the kernel: tables, sets, connections, queue, links, packets of our own, facts about the machine."""
