"""From messages and pictures to token ids and pixels: readers, image policies, prompt templates, tokenizer, planner."""
