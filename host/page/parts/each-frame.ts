/** Returns a function that has something drawn with the browser's next frame, once however often it is called until then. */
export function eachFrame(draw: () => void): () => void {
  let drawing = false;
  return () => {
    if (drawing) return;
    drawing = true;
    requestAnimationFrame(() => {
      drawing = false;
      draw();
    });
  };
}
