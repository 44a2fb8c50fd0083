"""Location encoders as folders: weights, networks, cards, the tower for patches."""
