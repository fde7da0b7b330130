/* peak COMMAND...: runs it, then prints its peak resident memory in KiB on standard error. A script cannot measure that for
 * itself: a child's figure never falls below what its parent had when it forked, and this program has next to nothing. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct rusage u;
    int status = 0;
    pid_t child;
    if (argc < 2) return 2;
    child = fork();
    if (child == 0) {
        execvp(argv[1], argv + 1);
        _exit(127);
    }
    if (child < 0 || wait4(child, &status, 0, &u) < 0) return 1;
    fprintf(stderr, "\n%ld\n", u.ru_maxrss);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
