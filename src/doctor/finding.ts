/** What a look at one part found. */
export interface Finding {
  readonly status: 'ok' | 'failed' | 'skipped';
  /** How it is, in words. */
  readonly found: string;
  /** What mends it; only of what failed. */
  readonly mend?: string;
}

/** A part, and how it is looked at. What is thrown is a failure, which the error's message describes. */
export interface Check {
  readonly name: string;
  readonly look: () => Promise<Finding>;
}

/** A part, and what was found. */
export interface Result extends Finding {
  readonly name: string;
}

/** Looks at a part, whatever happens. */
export async function run({ name, look }: Check): Promise<Result> {
  try {
    return { name, ...(await look()) };
  } catch (error) {
    return { name, ...failed(error instanceof Error ? error.message : String(error)) };
  }
}

export function ok(found: string): Finding {
  return { status: 'ok', found };
}

export function failed(found: string, mend?: string): Finding {
  return { status: 'failed', found, ...(mend !== undefined && { mend }) };
}

export function skipped(found: string): Finding {
  return { status: 'skipped', found };
}
