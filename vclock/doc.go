// SPDX-License-Identifier: Apache-2.0

// Package vclock holds dots and causal contexts. It is a core: pure values.
//
// A dot names one write: an actor (one incarnation of one store) and a counter
// that the actor never repeats (Preguiça, Baquero, Almeida, Fonte, Gonçalves,
// "Dotted Version Vectors", 2012). A [Context] is a set of dots, kept exactly: a
// version vector, which stands for all dots of an actor up to a counter, plus
// detached dots. Contexts that a client holds must be exact, because an entry that
// claims more than the client has read makes its next write drop what it never saw
// (TRAPS C5, C8).
//
// # Invariants
//
//   - I1 A context is in canonical form: entries in order of their actors, counters
//     at least 1; dots in order, none covered by the vector, none that directly
//     follows its actor's entry. Equal sets have equal forms and equal encodings.
//   - I2 Join is set union, hence commutative, associative and idempotent.
//   - I3 Only [Context.Fold] covers dots that were not in the set; its caller
//     vouches that it holds every earlier dot of that actor for that key.
//   - I4 Decoding accepts canonical forms only, and costs memory in proportion to
//     the bytes given.
//   - I5 A token opens only with the binding that sealed it. Tokens of earlier versions
//     stay readable.
//
// What it does not do: it never prunes a context and never retires an actor
// (TRAPS C11).
package vclock
