"""What should be: the git repository, its YAML and TOSCA documents, and the model they mean.

Here live the reading of commits, the strict loader, the TOSCA compiler and the values every other
package speaks in (`model`, `values`, `errors`). Nothing here knows a provider, a plan or a store. Only
`repository` does I/O; the rest are pure functions over text.
"""
