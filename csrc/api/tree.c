/* json-c trees for C callers that ask for one: off the hot path, and only for
 * text that our own scanner has accepted. */

#include "jsonrpcc.h"

#include "wire/json_scan.h"

#include <json-c/json.h>
#include <limits.h>

struct json_object *jsonrpcc_outcome_tree(const jsonrpcc_outcome *outcome)
{
    struct json_object *tree = NULL;

    if ((outcome->status != JSONRPCC_OK &&
         outcome->status != JSONRPCC_EREMOTE) ||
        outcome->json_len > INT_MAX)
        return NULL;
    struct json_tokener *tokener = json_tokener_new_ex(JRC_JSON_DEPTH_MAX);
    if (tokener == NULL)
        return NULL;
    tree =
        json_tokener_parse_ex(tokener, outcome->json, (int)outcome->json_len);
    /* A number or literal at the very end counts as complete only once the
     * tokener is told that the text has ended. */
    if (tree == NULL &&
        json_tokener_get_error(tokener) == json_tokener_continue)
        tree = json_tokener_parse_ex(tokener, "", 1);
    json_tokener_free(tokener);
    return tree;
}
