/* Judging detections by true boxes. */

/* Rows of detections (image, class, score, box, sorted by image, class, falling score) are right if
 * they overlap a true box of their class that no better one has taken. */
KERNEL(evaluate_detections) {
    ARGS(evaluate_detections);
    const real *truth = a->truth, extra = (real)a->extra;
    uint8_t *taken = a->taken;
    memset(taken, 0, (size_t)a->truths);
    for (int64_t d = 0; d < a->detections; d++) {
        const real *found = (const real *)a->found + d * 7;
        const real area = FN(box_area)(found + 3, extra);
        real *row = (real *)a->rows + d * 5, most = -1;
        int64_t best = -1;
        for (int64_t t = 0; t < a->truths; t++) {
            const real *other = truth + t * 8;
            if (other[0] != found[0] || other[1] != found[1]) continue;
            const real overlap = FN(box_overlap)(found + 3, area, other + 3,
                                                 FN(box_area)(other + 3, extra), extra);
            if (overlap > most) {
                most = overlap;
                best = t;
            }
        }
        const int hit = best >= 0 && most >= (real)a->overlap;
        const int counts = !hit || a->use_difficult || truth[best * 8 + 7] == 0;
        memcpy(row, found, 3 * sizeof(real));
        row[3] = counts && hit && !taken[best];
        row[4] = counts && !(hit && !taken[best]);
        if (hit && counts) taken[best] = 1;
    }
}
