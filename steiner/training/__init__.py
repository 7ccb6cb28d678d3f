"""Training stages in order: base, cpt, sft, rl; each a short file on the field's own trainers."""
