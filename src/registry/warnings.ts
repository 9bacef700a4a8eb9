import type { Context } from './context.ts';

/** Characters of all warnings of one answer, at most (OCI distribution-spec, "Warnings"). */
const limit = 4096;

/** Tells the client's user something that is no failure; what does not fit any more is left out. */
export function warn(ctx: Context, texts: readonly string[]): void {
  let left = limit;
  for (const text of texts) {
    // "The `warn-code` MUST be set to 299 […], the `warn-agent` MUST be set to `-`."
    const warning = `299 - "${text.replace(/[\\"]/g, '\\$&')}"`;
    left -= warning.length;
    if (left >= 0) ctx.append('Warning', warning);
  }
}
