/** A server-sent event. */
export interface ServerEvent {
  /** `message` where it has no other name. */
  readonly name: string;
  /** That of the last event that had one. */
  readonly id: string;
  readonly data: string;
}

/** Reads server-sent events (HTML, "9.2.6 Interpreting an event stream"); one that is not whole at the end is none. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  let [name, id] = ['', ''];
  let data: string[] = [];
  for await (const line of linesOf(body)) {
    if (line === '') {
      if (data.length > 0) yield { name: name === '' ? 'message' : name, id, data: data.join('\n') };
      [name, data] = ['', []];
      continue;
    }
    const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === 'event') name = value;
    else if (field === 'id') id = value;
    else if (field === 'data') data.push(value);
  }
}

async function* linesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  for await (const chunk of body) {
    const [first = '', ...others] = decoder.decode(chunk, { stream: true }).split('\n');
    parts.push(first);
    for (const next of others) {
      yield parts.join('').replace(/\r$/, '');
      parts = [next];
    }
  }
}
