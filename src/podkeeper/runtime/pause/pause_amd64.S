/*
 * The infra container's only program, for x86-64 Linux.
 *
 * It holds a sandbox's namespaces open by staying alive. As process 1 of a shared process namespace it also inherits
 * orphans, and collects them so that no zombie stays. SIGTERM and SIGINT end it with code 0.
 *
 * The three signals are blocked for good and fetched one by one with rt_sigtimedwait: the kernel drops a signal for
 * process 1 that has no handler, unless it is blocked, and a blocked signal cannot slip in between two instructions.
 *
 * System call: number in eax, arguments in rdi, rsi, rdx, r10; the answer, or minus the error, in rax.
 * assembler.py turns this file into bytes, and so does GNU as (a test compares them).
 */
        .intel_syntax noprefix
        .globl  _start
_start:
        mov     eax, 14                 /* rt_sigprocmask( */
        xor     edi, edi                /*   SIG_BLOCK, */
        lea     rsi, [rip + signals]    /*   &signals, */
        xor     edx, edx                /*   NULL, */
        mov     r10d, 8                 /*   sizeof signals) */
        syscall

next_signal:
        mov     eax, 128                /* rt_sigtimedwait( */
        lea     rdi, [rip + signals]    /*   &signals, */
        xor     esi, esi                /*   NULL: no details wanted, */
        xor     edx, edx                /*   NULL: for ever, */
        mov     r10d, 8                 /*   sizeof signals) */
        syscall
        cmp     eax, 17                 /* SIGCHLD? */
        je      reap
        test    eax, eax                /* interrupted by a stop and continue? */
        js      next_signal

        mov     eax, 60                 /* exit( */
        xor     edi, edi                /*   0) */
        syscall

reap:                                   /* one SIGCHLD may stand for many children */
        mov     eax, 61                 /* wait4( */
        mov     edi, -1                 /*   any child, */
        xor     esi, esi                /*   NULL: its status does not matter, */
        mov     edx, 1                  /*   WNOHANG, */
        xor     r10d, r10d              /*   NULL) */
        syscall
        test    eax, eax
        jg      reap                    /* a process id: look for another one */
        jmp     next_signal

signals:
        .quad   0x14002                 /* bit n - 1 for signal n: SIGCHLD 17, SIGTERM 15, SIGINT 2 */
