"""PodSecurity: the Pod Security Standards, judged for pods and foretold for workloads, as a namespace's labels say."""
