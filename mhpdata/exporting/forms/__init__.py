"""The forms of an export, one per module; each is a Form (mhpdata.exporting.form)."""
