"""Run by Python at the start of every process of a campaign; nobody else has it on his path."""  # noqa: INP001

from scripts.faults import sabotage

sabotage.install()
