"""What tools/generate_protobuf.py is made of: Go's types out of a program, and the table of messages out of those."""
