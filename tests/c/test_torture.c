/* Every allocation and every system call of the client is made to fail, once
 * and for good, at its first, second, third call and so on.  See torture.h.
 *
 * Arguments: the last n to fail of a system call (3); of an allocation it is
 * the last that there is. */
#include "fault_here.h"

#include "torture.h"

int main(int argc, char **argv)
{
    unsigned most = argc > 1 ? (unsigned)atoi(argv[1]) : 3;

    torture_start();
    torture_all((struct torture_range){1, 1, 1000}, most);
    return torture_done("torture");
}
