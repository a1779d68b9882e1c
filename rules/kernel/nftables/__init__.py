"""The rules as one table of nftables, whose maps and sets take the changes of a call at the same cost however many.

`expressions` writes rules, `elements` what maps and sets hold, `table` reads the table and changes it in batches,
`variant` puts it together with the part that iptables does where nftables has no `queue` expression.
"""
