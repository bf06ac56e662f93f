"""What one may do: RBAC, the node authorizer, and the policy that every cluster begins with."""
