"""The SIP side of the gateway.

A packet's way, outward and inward alike:

1. the kernel hands a forwarded SIP datagram to `rules.kernel.queue`, and `daemon.pipeline` takes it;
2. `wire` splits IP and UDP, `engine` decides;
3. `sip` and `sdp` read it as spans; what is not whole passes as it came;
4. outward, `admission` says which addresses are the phone's; inward, `callers` and a call's `parties` who may send;
   `calls` follows registrations and calls, and its `ledger` leases the public ports they need;
5. `masquerade` replaces each address that has a partner in the ledger;
6. the pipeline gives the ledger's changes to `rules.reconcile`, and once the kernel has them
7. `wire` rebuilds the packet and it is released. RTP never comes this way.
"""
