"""Draw complete figures: contact sheets, curves, the worst predictions, and a page with all of them (mhp show)."""
