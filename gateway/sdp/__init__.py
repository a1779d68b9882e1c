"""Session descriptions (RFC 8866) as spans, and offer/answer (RFC 3264) over whatever they describe."""
