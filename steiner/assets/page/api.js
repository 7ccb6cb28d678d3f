/* The server's OpenAI-compatible API, with the calls that the page needs.

   { messages, maxSteps, samples, key } -> chunks of a chat completion, while they arrive */

/* An error with a message for the user. */
export class Trouble extends Error {
  constructor(message, { wantsKey = false } = {}) {
    super(message);
    this.wantsKey = wantsKey;
  }
}

export async function firstModel(key, signal) {
  const { data: [model] } = await (await send("/v1/models", { key, signal })).json();
  return model;
}

export async function* ask({ messages, maxSteps, samples, key }, signal) {
  const { id: model } = await firstModel(key, signal);
  const wishes = { max_steps: maxSteps, n: samples, stream: true };
  const body = { model, messages, ...wishes, stream_options: { include_usage: true } };
  yield* chunks(await send("/v1/chat/completions", { key, body, signal }));
}

async function send(path, { key, body, signal }) {
  const headers = {};
  // Headers hold bytes: the key goes in UTF-8, as the server reads it.
  if (key) headers.Authorization = `Bearer ${String.fromCharCode(...new TextEncoder().encode(key))}`;
  if (body) headers["Content-Type"] = "application/json";
  const method = body ? "POST" : "GET";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("The server cannot be reached. Is “steiner serve” still running?");
  }
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({}));
  throw trouble(response.status, error);
}

/* The events of the stream. It must say itself that it is whole. */
async function* chunks(response) {
  try {
    for await (const data of events(response.body)) {
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw trouble(503, chunk.error);
      yield chunk;
    }
  } catch (error) {
    if (error instanceof Trouble || error.name === "AbortError") throw error;
  }
  throw new Trouble("The connection broke off before the answer was whole.");
}

async function* events(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const whole = text.split("\n\n");
    text = whole.pop();
    for (const event of whole) yield event.replace(/^data: /, "");
  }
}

function trouble(status, { code, message = "" } = {}) {
  if (status === 401) return new Trouble("This server wants an API key.", { wantsKey: true });
  if (status === 413) return new Trouble("This is too long for the server.");
  if (status === 429) {
    return new Trouble("The server is busy: every place is taken. Ask again in a moment.");
  }
  if (code === "context_length_exceeded") {
    return new Trouble("With its earlier turns, this is longer than the model can hold. "
      + "Begin a new dialogue, or ask something shorter.");
  }
  if (code === "closing") return new Trouble("The server is about to stop, and takes no questions.");
  if (status >= 500) return new Trouble(`The server failed: ${message || `status ${status}`}.`);
  return new Trouble(`The server refused this: ${message || `status ${status}`}.`);
}
