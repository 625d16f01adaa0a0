"""What ``labelpulse doctor`` looks at, one part of the surroundings a module."""
