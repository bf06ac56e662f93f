/*
 * The infra container's only program, for 64-bit ARM Linux. pause_amd64.S tells what it does and why.
 *
 * System call: number in x8, arguments in x0 to x3; the answer, or minus the error, in x0.
 */
        .globl  _start
_start:
        mov     x8, #135                /* rt_sigprocmask( */
        mov     x0, #0                  /*   SIG_BLOCK, */
        adr     x1, signals             /*   &signals, */
        mov     x2, #0                  /*   NULL, */
        mov     x3, #8                  /*   sizeof signals) */
        svc     #0

next_signal:
        mov     x8, #137                /* rt_sigtimedwait( */
        adr     x0, signals             /*   &signals, */
        mov     x1, #0                  /*   NULL: no details wanted, */
        mov     x2, #0                  /*   NULL: for ever, */
        mov     x3, #8                  /*   sizeof signals) */
        svc     #0
        cmp     x0, #17                 /* SIGCHLD? */
        b.eq    reap
        cmp     x0, #0                  /* interrupted by a stop and continue? */
        b.lt    next_signal

        mov     x8, #93                 /* exit( */
        mov     x0, #0                  /*   0) */
        svc     #0

reap:                                   /* one SIGCHLD may stand for many children */
        mov     x8, #260                /* wait4( */
        mov     x0, #-1                 /*   any child, */
        mov     x1, #0                  /*   NULL: its status does not matter, */
        mov     x2, #1                  /*   WNOHANG, */
        mov     x3, #0                  /*   NULL) */
        svc     #0
        cmp     x0, #0
        b.gt    reap                    /* a process id: look for another one */
        b       next_signal

signals:
        .quad   0x14002                 /* bit n - 1 for signal n: SIGCHLD 17, SIGTERM 15, SIGINT 2 */
