"""What is known of a centre: its state, its health, and whether its failed starts keep others away."""
