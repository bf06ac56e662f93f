"""CertificateSigningRequests: approved where a node asks for its own, signed, and cleaned up.

created --approving--> Approved --signing--> certificate --cleaning, an hour later--> gone
   |  \\--denied by somebody--> Denied                    ------------------^
   \\--nobody answers for a day-----------------------------cleaning--------^
"""
