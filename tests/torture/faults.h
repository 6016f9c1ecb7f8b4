/* What a test and the program it tortures share: a file both map, named by SB_FAULTS. All members
 * are 8 bytes, so that a test can also write and read them by position. */
#ifndef SB_TORTURE_FAULTS_H
#define SB_TORTURE_FAULTS_H

#include <stdint.h>

/* The calls that are counted and can be made to fail; a test chooses one kind or several. */
enum fault_kind {
    FAULT_MEMORY = 1,  /* malloc, calloc, realloc, posix_memalign, aligned_alloc; not under
                           AddressSanitizer */
    FAULT_FILE = 2,    /* on files: open, read, map, rename, and what FAULT_DISK is */
    FAULT_PEER = 4,    /* on sockets and pipes: accept, read, write */
    FAULT_STEP = 8,    /* sqlite3_step() called by the program itself */
    FAULT_THREAD = 16, /* pthread_create */
    FAULT_DISK = 32,   /* on files: write, truncate, reserve, sync */
    FAULT_LOCK = 64    /* on files: taking a lock */
};

enum fault_way {
    FAULT_FAILS,     /* the call does nothing and fails, with error or the call's usual one */
    FAULT_SHORT,     /* a write takes half of the bytes; a write of one byte and others fail */
    FAULT_LIES,      /* the call does its work and then fails */
    FAULT_ROLLS_BACK /* sqlite3_step(): as on a full disk, the transaction is gone as well */
};

enum { FAULT_SITE_MAX = 2048 };

struct faults {
    _Atomic uint64_t kinds;        /* counted now; 0: nothing is, nothing fails */
    _Atomic uint64_t first, last;  /* numbers of the first and the last call to fail, from 1 */
    _Atomic uint64_t way, error;   /* enum fault_way; errno or SQLite's result, 0: the usual one */
    _Atomic uint64_t counted;      /* calls so far */
    _Atomic uint64_t failed;       /* of them were made to fail */
    _Atomic int64_t blocks, bytes; /* of memory that are in use, whatever is counted */
    char site[FAULT_SITE_MAX];     /* the call stack of the first that failed */
};

#endif
