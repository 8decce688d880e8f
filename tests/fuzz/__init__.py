"""Machines that write mail nobody would."""
