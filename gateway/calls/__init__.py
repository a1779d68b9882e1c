"""What is going on: leased ports, registrations, calls. Each kind of state has one owner, and none has a clock."""
