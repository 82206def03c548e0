// Package proposal writes commits into a person's clone of the plan repository:
// the answer to a question, or a change taken back. A commit is made straight in
// the object store and put on a branch; nothing that was not committed is ever
// touched. Only where the branch is checked out do the files of the commit
// follow, and then only if they are as they were committed.
package proposal
