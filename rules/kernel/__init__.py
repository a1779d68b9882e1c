"""The only door to the kernel: tables, sets, connections, queue, links, own packets, facts about the machine."""
