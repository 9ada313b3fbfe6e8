"""Which entries tell the same event: signature, index of candidates, score of a pair, assignment to events."""
