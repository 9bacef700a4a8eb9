import { errors, type estypes } from '@elastic/elasticsearch';
import { type ConnectionOptions, makeClient } from './elasticsearch-client.ts';
import { toSinkError } from './elasticsearch-errors.ts';

/** What the clocks of the nodes show, in ms since 1970; none where the credentials may not ask. @throws {SinkError} */
export async function readClocks(options: ConnectionOptions, signal: AbortSignal): Promise<number[]> {
  await using stack = new AsyncDisposableStack();
  try {
    const client = stack.adopt(await makeClient(options), (made) => made.close());
    const answer: Partial<estypes.NodesStatsResponse> = await client.nodes.stats(
      { metric: 'process', filter_path: 'nodes.*.timestamp' },
      { signal },
    );
    return Object.values(answer.nodes ?? {}).flatMap(({ timestamp }) => timestamp ?? []);
  } catch (error) {
    if (error instanceof errors.ResponseError && error.statusCode === 403) return [];
    throw toSinkError(error);
  }
}
