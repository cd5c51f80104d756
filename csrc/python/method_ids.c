#include "python/method_ids.h"

uint16_t spd_method_ids_find(struct spd_method_ids *ids,
                             jsonrpcc_client *client,
                             const struct spd_arguments *a)
{
    size_t i = ((uintptr_t)a->method >> 4) % SPD_METHOD_IDS;

    if (ids->known[i].name == a->method)
        return ids->known[i].id;
    uint16_t id =
        spd_core->method(client, a->method_text, (size_t)a->method_len);
    /* Only a plain str: to free another one may run Python code. */
    if (id == 0 || !PyUnicode_CheckExact(a->method))
        return id;
    PyObject *before = ids->known[i].name;
    ids->known[i].name = Py_NewRef(a->method);
    ids->known[i].id = id;
    Py_XDECREF(before);
    return id;
}

void spd_method_ids_clear(struct spd_method_ids *ids)
{
    for (size_t i = 0; i < SPD_METHOD_IDS; i++)
        Py_CLEAR(ids->known[i].name);
}
