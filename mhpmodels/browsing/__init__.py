"""Count what a packed folder contains (mhp stats), and write a site to browse its samples (mhp browse)."""
