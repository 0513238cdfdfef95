"""What can be broken in an account: the model, the same for the emulator and for a real account."""

from sandbox.faults import calls as calls
from sandbox.faults import data as data
from sandbox.faults import deliveries as deliveries
from sandbox.faults import functions as functions
from sandbox.faults import partners as partners
from sandbox.faults import reads as reads
from sandbox.faults import regions as regions
from sandbox.faults import rights as rights
from sandbox.faults.model import BadFault, Fault, kinds, read

__all__ = ["BadFault", "Fault", "kinds", "read"]
