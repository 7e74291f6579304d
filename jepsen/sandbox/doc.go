// SPDX-License-Identifier: Apache-2.0

// Package sandbox runs a program in namespaces of its own, so that whatever it starts and
// mounts is gone with it.
//
// [Enter] starts the program that calls it again, with the same arguments: as the first
// process of a new PID namespace, with its own mounts, its own network and its own /proc,
// and, for users other than root, a user namespace in which it is root. The first one stays
// outside: it hands on signals, and is told the exit code of the other. Where the system has
// no such namespaces, or does not let this user have them, the program runs on as it is,
// and is told why.
//
// What must hold:
//
//   - I1 When the inner program is gone, whatever ended it, the kernel has killed all that it
//     started, and its mounts and networks are no more. When the outer one is killed, the
//     kernel kills the inner one.
//   - I2 Enter returns in the outer program after the inner one has ended, with its exit code;
//     with 128 and the number of the signal where one killed it.
//   - I3 A signal reaches the inner program once. It has a process group of its own, so that
//     the terminal's goes to the outer one only.
//   - I4 Nothing changes outside: mounts are made private before anything is mounted.
//
// The inner program is process 1 of its namespace: what its children leave behind is its to
// wait for, and stays a zombie until the end where it does not.
package sandbox
