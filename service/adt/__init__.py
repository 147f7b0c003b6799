"""Patient administration messages (HL7 v2 ADT over MLLP): merges and corrections of patients."""
