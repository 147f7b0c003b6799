"""What the machine sees and says; numpy and networks only."""
