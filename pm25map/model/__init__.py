"""The card, the network, its training and export, and the session that runs it."""
